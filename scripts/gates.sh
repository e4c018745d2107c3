#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The gates that a published collection passes, one a call. Those after `artifact` look at what it built.
# Usage: gates.sh GATE   a function's name below
# What they make is in build/gates, but for ansible-test's environments, which GATES_CACHE names (default: build/gates/home).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/gates/bin:$PATH" LC_ALL=C.UTF-8
work=$PWD/build/gates
home=${GATES_CACHE:-$work/home}
# The checkout's own would have the tools find the checkout where they should look at the artifact.
mkdir -p "$work"
: >"$work/ansible.cfg"
export ANSIBLE_CONFIG=$work/ansible.cfg
installed=$work/installed/ansible_collections/gpulab/pachyderm

artifact() {
    rm -rf "$work/dist" "$work/installed"
    mkdir -p "$home/.ansible"
    HOME=$home ansible-galaxy collection build --output-path "$work/dist"
    HOME=$home ansible-galaxy collection install --no-deps --collections-path "$work/installed" "$work"/dist/*.tar.gz
    local found
    found=$(cd "$installed" && find . -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' ')
    local wanted="CHANGELOG.md CONTRIBUTING.md FILES.json INVARIANTS.md LICENSE LICENSES MANIFEST.json README.md REUSE.toml \
bindep.txt changelogs docs embedded examples inventories meta playbooks plugins requirements requirements.yml roles tests "
    if [ "$found" != "$wanted" ]; then
        printf 'the artifact holds\n  %s\nand not\n  %s\nsee build_ignore in galaxy.yml\n' "$found" "$wanted"
        return 1
    fi
    # A file that git ignores was made here and is nobody's to publish.
    (cd "$installed" && find . -type f -printf '%P\n') | { grep -vxE 'MANIFEST.json|FILES.json' || true; } >"$work/files"
    if git check-ignore --stdin <"$work/files"; then
        echo 'the artifact holds these files, which git ignores'
        return 1
    fi
    # ansible-test and antsibull-docs ask git which files there are; that of the checkout would say none.
    git init --quiet "$installed"
}

# No test is left out, and nothing is ignored. Other Pythons that ansible-core supports on the controller and that are here
# do the two tests that depend on them.
sanity() {
    local tree=$work/sanity/ansible_collections/gpulab version
    rm -rf "$tree"
    mkdir -p "$tree" "$home/.ansible/test/cache"
    cp -r "$installed" "$tree/pachyderm"
    cp scripts/get_pip.py "$home/.ansible/test/cache/get_pip_24_2.py"
    cd "$tree/pachyderm"
    if compgen -G 'tests/sanity/ignore*'; then
        echo 'there are ignore entries'
        return 1
    fi
    # What ansible-test makes there, its environments with all of pip.
    echo /tests/output/ >>.git/info/exclude
    sanity_on 3.11 "$@"
    for version in 3.12 3.13; do
        if "python$version" -c '' 2>/dev/null; then
            sanity_on "$version" --test compile --test import
        fi
    done
}

sanity_on() {
    HOME=$home ansible-test sanity --color no --venv --requirements --python "$@" 2>&1 | tee "$work/sanity.log"
    # A test whose program is missing would pass.
    if grep -E 'Required program .* not found|[Ss]kipping' "$work/sanity.log"; then
        return 1
    fi
}

importer() {
    GALAXY_IMPORTER_CONFIG=$work/galaxy-importer.cfg
    export GALAXY_IMPORTER_CONFIG
    # ansible-test and ansible-lint have gates of their own; the importer's ansible-lint knows fewer rules, and three
    # minutes are its limit.
    printf '[galaxy-importer]\n%s = False\n%s = False\nANSIBLE_LOCAL_TMP = %s\n' RUN_ANSIBLE_TEST RUN_ANSIBLE_LINT \
        "$work/importer" >"$GALAXY_IMPORTER_CONFIG"
    rm -rf "$work/importer"
    mkdir -p "$work/importer"
    cd "$work/importer"
    HOME=$home python -m galaxy_importer.main "$work"/dist/*.tar.gz 2>&1 | tee "$work/importer.log"
    if grep -E '^(ERROR|WARNING)' "$work/importer.log"; then
        return 1
    fi
}

# Documentation of modules, plugins and roles, its markup and its references.
documentation() {
    cd "$installed"
    HOME=$home antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
}

# The documents, and the reference that is made of modules, plugins and roles, as a site: build/docs/index.html.
# A link, a name or an option in them that is not there is an error.
site() {
    local source=$work/site
    rm -rf "$source" build/docs
    mkdir -p "$source/reference"
    git ls-files -z -- '*.md' tests | xargs -0 cp --parents --target-directory "$source"
    cp docs/docsite/* "$source"
    ANSIBLE_COLLECTIONS_PATH=$PWD/collections HOME=$home antsibull-docs collection --use-current --squash-hierarchy \
        --no-add-antsibull-docs-version --fail-on-error --dest-dir "$source/reference" gpulab.pachyderm
    sphinx-build --builder html --fail-on-warning --keep-going --quiet --jobs auto --doctree-dir "$work/site-doctrees" \
        "$source" build/docs
}

changelog() {
    HOME=$home antsibull-changelog lint
}

shell() {
    git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --severity=warning
}

licences() {
    reuse lint
}

# What an execution environment installs: that ansible-builder finds it, and that pip and apt know it.
environment() {
    HOME=$home ansible-builder introspect --write-pip "$work/pip.txt" --write-bindep "$work/bindep.txt" "$work/installed"
    grep -q '^pachyderm-sdk' "$work/pip.txt"
    grep -q '^tar' "$work/bindep.txt"
    pip install --quiet --dry-run --ignore-installed --requirement "$work/pip.txt"
    bindep --file bindep.txt --brief || [ $? = 1 ]  # 1: some are not installed here
    local package
    for package in $(bindep --file bindep.txt --list_all newline container); do
        apt-cache show "$package" >/dev/null
    done
}

# The artifact, in an environment that has nothing but what it asks for: its playbooks by name, twice.
fresh() {
    local venv=$work/fresh/venv port
    lab=$(mktemp -d)
    if [ ! -e "$venv/stamp" ] || ! cmp -s "$venv/stamp" "$installed/requirements/modules.txt"; then
        rm -rf "$venv"
        python -m venv "$venv"
        "$venv/bin/pip" install --quiet --constraint requirements/constraints.txt ansible-core \
            --requirement "$installed/requirements/modules.txt"
        cp "$installed/requirements/modules.txt" "$venv/stamp"
    fi
    mkdir -p "$lab/home" "$lab/state/data"
    cd "$lab"
    run=(env -i "HOME=$lab/home" "PATH=$venv/bin:/usr/bin:/bin" LC_ALL=C.UTF-8)
    "${run[@]}" ansible-galaxy collection install --no-deps "$work"/dist/*.tar.gz
    here=$lab/home/.ansible/collections/ansible_collections/gpulab/pachyderm
    echo 1,2 >"$lab/state/data/some.csv"
    port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >"$lab/lab.yml" <<-END
		lab_state: $lab/state
		pachyderm_embedded_address: 127.0.0.1:$port
		pachyderm_workflow_pipelines: [{src: $here/examples/gpu/gpu.yaml}]
		pachyderm_embedded_wait: 300
		pachyderm_workflow_fetch: [{repo: gpu, dest: $lab/state/results}]
	END
    play() { "${run[@]}" ansible-playbook -i "$here/inventories/embedded" -e "@$lab/lab.yml" "$@"; }
    end() { play gpulab.pachyderm.reset -e reset_confirm=true -e pachyderm_embedded_reset_state=absent && rm -rf "$lab"; }
    trap end EXIT
    play gpulab.pachyderm.site
    grep -x some.csv "$lab/state/results/input-data.txt"
    play gpulab.pachyderm.site | tee "$lab/again"
    grep -E 'changed=0 .*failed=0 ' "$lab/again"
    play gpulab.pachyderm.verify
}

"$@"
