# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by scripts that run in the checkout's root: which lab is meant.
# LAB: the lab's directory (.lab). ADDRESS: where its pachd listens (127.0.0.1:30650).
# Sets lab and address, and the commands for people that go on with this lab: site_command, stop_command.

# Ansible wants UTF-8, and refuses an ansible.cfg that it finds in a directory that everybody may write to.
export LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$PWD/ansible.cfg"
lab=$(realpath -m "${LAB:-.lab}")
address=${ADDRESS:-127.0.0.1:30650}
case "$lab$address" in
*[\"\'\\\${}%]* | *$'\n'*)
    echo "LAB=$lab ADDRESS=$address: Ansible or make would read a quote, \\, \$, {, } or % otherwise; choose a plainer name" >&2
    exit 1
    ;;
esac

lab_settings=''
stop_command='make stop'
if [ "$lab" != "$(realpath -m .lab)" ]; then
    lab_settings="\"lab_state\": \"$lab\""
    stop_command+=" LAB='$lab'"
fi
if [ "$address" != 127.0.0.1:30650 ]; then
    lab_settings+="${lab_settings:+, }\"pachyderm_embedded_address\": \"$address\""
fi
# For those that source this.
# shellcheck disable=SC2034
site_command=".venv/bin/ansible-playbook site.yml${lab_settings:+ -e '{$lab_settings}'}"
