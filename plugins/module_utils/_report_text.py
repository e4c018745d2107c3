# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the lab report's page. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #57606a; --line: #c9d1d9; --panel: #f3f5f7;
  --good: #1a6b35; --bad: #b3261e; --wait: #7a5200; --queue: #8c959f; --repo: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --back: #14171a; --text: #e6e9ec; --soft: #a5adb6; --line: #444c56;
  --panel: #1e2328; --good: #6fcf8b; --bad: #ff8f85; --wait: #e9b949; --queue: #79828c; --repo: #7db8f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.2rem; margin: 1.75rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); } a { color: var(--repo); }
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); } .run { color: var(--repo); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  min-width: 4.5rem; }
td.n, th.n { text-align: right; padding-right: 1.5rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; background: var(--panel); }
.scroll:focus-visible, summary:focus-visible, pre:focus-visible { outline: 2px solid var(--repo); }
.graph { display: block; }
.graph rect { fill: var(--back); stroke: var(--soft); } .graph .repo rect { stroke: var(--repo); }
.graph .good rect { stroke: var(--good); } .graph .bad rect { stroke: var(--bad); stroke-width: 3; }
.graph .wait rect { stroke: var(--wait); stroke-dasharray: 5 3; }
.graph text { fill: var(--text); font: 13px system-ui, sans-serif; } .graph .small { font-size: 11px; fill: var(--soft); }
.graph path { fill: none; stroke: var(--queue); stroke-width: 1.5; }
.row { display: grid; grid-template-columns: 14rem 1fr; gap: .6rem; align-items: center; font-size: .85rem; }
.row svg { display: block; width: 100%; height: 1.1rem; background: var(--panel); }
.row .q { fill: var(--queue); } .row .good { fill: var(--good); } .row .bad { fill: var(--bad); }
.row .wait { fill: var(--wait); } .row .run { fill: var(--repo); }
.ends { margin-left: 14.6rem; display: flex; justify-content: space-between; gap: 1rem; font-size: .8rem; color: var(--soft); }
.ends span + span { text-align: right; }
pre { margin: .3rem 0; padding: .6rem; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  font-size: .85rem; white-space: pre-wrap; }
summary { cursor: pointer; padding: .4rem 0; }
ul { margin: .3rem 0; padding-left: 1.2rem; }
@media (max-width: 60rem) {
  .row { grid-template-columns: 1fr; gap: 0; margin-bottom: .3rem; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, th { display: block; } td { display: inline-block; margin-right: .8rem; min-width: 0; }
  tr { padding: .4rem 0; border-bottom: 1px solid var(--line); }
  th, td, td.n { border: 0; padding: 0; text-align: left; } .ends { margin: 0; }
  td::before { content: attr(data-as) " "; color: var(--soft); } td:empty { display: none; }
}
"""

_MACROS = """
{% macro count(number, what) %}{{ number }} {{ what }}{{ '' if number == 1 else 's' }}{% endmacro %}
{% macro change_list(changes) %}
<ul>
{% for change in changes %}
<li>{{ change.host }}: {{ change.task }}{% if change.actions %} <span class="soft">({{ change.actions | join(', ') }})</span>{% endif %}</li>
{% endfor %}
</ul>
{% endmacro %}
{% macro word(state) %}<span class="{{ state | tone }}">{{ state | state }}</span>{% endmacro %}
{% macro job_table(jobs, caption) %}
<table aria-label="{{ caption }}"><thead><tr><th scope="col">Pipeline</th><th scope="col">Job</th><th scope="col">State</th>
<th scope="col" class="n">Processed</th><th scope="col" class="n">Skipped</th><th scope="col" class="n">Failed</th>
<th scope="col" class="n">Datums</th><th scope="col">Created (UTC)</th><th scope="col" class="n">Took</th></tr></thead><tbody>
{% for job in jobs %}
<tr><th scope="row">{{ job.pipeline | own }}</th><td data-as="job">{{ job.id[:8] }}</td><td>{{ word(job.state) }}</td>\
<td class="n" data-as="processed">{{ job.datums.processed }}</td><td class="n" data-as="skipped">{{ job.datums.skipped }}</td>\
<td class="n" data-as="failed">{{ job.datums.failed }}</td><td class="n" data-as="datums">{{ job.datums.total }}</td>\
<td data-as="created">{{ job.created | moment }}</td><td class="n" data-as="took">{{ job.started | seconds(job.finished) }}</td></tr>
{% endfor %}
</tbody></table>
{% endmacro %}
"""

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{{ title }}</title><style>{{ style | style }}</style></head><body>
<header><h1>{{ title }}</h1>
<p class="soft">{{ count(data.nodes | length, 'GPU node') }}
· {{ count(data.cluster.nodes | length, 'node') ~ ' with GPUs in the cluster' if data.cluster else 'no cluster' }}
{% if lab and not lab.error %}
· {{ count(lab.repos | length, 'repo') }}, {{ count(lab.pipelines | length, 'pipeline') }}, {{ count(lab.jobs | length, 'job') }}
{% endif %}</p></header><main>
"""

_PROBLEMS = """
<section aria-labelledby="problems"><h2 id="problems">What needs attention</h2>
{% if data.problems %}<ul>
{% for problem in data.problems[:listed] %}
<li class="bad">{{ problem }}</li>
{% endfor %}
</ul>
{% if data.problems | length > listed %}<p class="bad">And {{ data.problems | length - listed }} more, below.</p>{% endif %}
{% else %}<p class="good">Nothing: all that was looked at is well.</p>{% endif %}</section>
"""

_CHANGES = """
<section aria-labelledby="changes"><h2 id="changes">What the newest run with changes did</h2>
{% if data.changes %}
{{ change_list(data.changes[:listed_changes]) }}
{% if data.changes | length > listed_changes %}
<details><summary>{{ data.changes | length - listed_changes }} more</summary>{{ change_list(data.changes[listed_changes:]) }}</details>
{% endif %}
{% else %}<p class="soft">No change is recorded.</p>{% endif %}</section>
"""

_MACHINES = """
{% if not data.nodes and not data.cluster %}
<section aria-labelledby="machines"><h2 id="machines">Nodes and cluster</h2>
<p class="soft">The inventory has no GPU nodes and no cluster.</p></section>
{% else %}
<section aria-labelledby="nodes"><h2 id="nodes">Nodes</h2>
{% if data.nodes %}
<table aria-labelledby="nodes"><thead><tr><th scope="col">Node</th><th scope="col">Health</th><th scope="col">GPUs</th>
<th scope="col">Driver</th><th scope="col">Container toolkit</th><th scope="col">Kernel</th><th scope="col">System</th></tr></thead><tbody>
{% for node in data.nodes %}
{% set missing = 'none' if node.kernel else '-' %}
<tr><th scope="row">{{ node.name }}</th><td>{% if node.problems %}<span class="bad">{{ node.problems | join('; ') }}</span>\
{% else %}<span class="good">well</span>{% endif %}</td><td data-as="GPUs">
{% for gpu in node.gpus %}{{ gpu.name }}{% if gpu.memory_mib %}, {{ gpu.memory_mib }} MiB{% endif %}{% if not loop.last %}<br>{% endif %}
{% else %}{{ missing }}{% endfor %}</td>
<td data-as="driver">{{ node.driver or missing }}</td><td data-as="toolkit">{{ node.toolkit or missing }}</td>\
<td data-as="kernel">{{ node.kernel or '-' }}</td><td data-as="system">{{ node.distribution or '-' }}</td></tr>
{% endfor %}
</tbody></table>{% else %}<p class="soft">The inventory has no GPU nodes.</p>{% endif %}</section>
<section aria-labelledby="cluster"><h2 id="cluster">Cluster</h2>
{% if not data.cluster %}<p class="soft">The inventory has no cluster.</p>
{% elif data.cluster.error %}<p class="bad">The cluster did not answer: {{ data.cluster.error }}</p>
{% else %}
<table aria-labelledby="cluster"><thead><tr><th scope="col">Node</th><th scope="col">State</th><th scope="col">GPUs lent</th>
<th scope="col">GPUs in use</th><th scope="col">Device plugin</th></tr></thead><tbody>
{% for node in data.cluster.nodes %}
<tr><th scope="row">{{ node.name }}</th><td>{% if not node.ready %}<span class="bad">not ready</span>
{% elif not node.schedulable %}<span class="wait">takes no pods</span>{% else %}<span class="good">ready</span>{% endif %}</td>
<td data-as="lent">{% for name, gpu in node.gpus.items() %}{{ gpu.allocatable }} {{ name }}{% if not loop.last %}, {% endif %}{% endfor %}</td>
<td data-as="in use">{% for name, gpu in node.gpus.items() %}{{ gpu.requested }} {{ name }}{% if not loop.last %}, {% endif %}{% endfor %}</td>
<td data-as="plugin">{{ 'none' if not node.plugin else 'ready' if node.plugin_ready else 'not ready' }}</td></tr>
{% endfor %}
</tbody></table>
{% for name, gpu in data.cluster.totals.items() %}
<p>In all: {{ gpu.allocatable }} {{ name }} lent, {{ gpu.requested }} in use</p>
{% endfor %}
{% for pod in data.cluster.pending %}
<p class="wait">{{ pod.name }} waits for a GPU: {{ pod.reason }}</p>
{% endfor %}
{% endif %}
{% if data.cluster and (data.cluster.versions or data.cluster.plugins) %}<ul>
{% for name, version in data.cluster.versions.items() %}<li>{{ name }} {{ version }}</li>
{% endfor %}
{% for image in data.cluster.plugins %}<li>device plugin {{ image }}</li>
{% endfor %}</ul>{% endif %}</section>
{% endif %}
"""

_PIPELINES = """
<section aria-labelledby="pipelines"><h2 id="pipelines">Repos and pipelines</h2>
{% if not lab %}<p class="soft">The inventory has no Pachyderm.</p>
{% elif lab.error %}<p class="bad">Pachyderm did not answer: {{ lab.error }}</p>
{% else %}
{% if drawing %}
<div class="scroll" tabindex="0" role="region" aria-label="Graph of repos and pipelines">
<svg class="graph" width="{{ drawing.width }}" height="{{ drawing.height }}" role="img"
 aria-label="Repos and the pipelines that read them; the tables below have the same in words">
{% for path in drawing.edges %}<path d="{{ path }}"/>
{% endfor %}
{% for box in drawing.boxes %}
<g class="{{ box.node | health if box.pipeline else 'repo' }}" transform="translate({{ box.x }} {{ box.y }})">
<title>{{ box.name }}</title><rect width="{{ box_width }}" height="{{ box_height }}" rx="{{ 4 if box.pipeline else 18 }}"/>
<text x="10" y="17">{{ box.label }}</text><text class="small" x="10" y="32">
{%- if box.pipeline %}{{ box.node | standing }}{% if box.node.gpus %} · {{ box.node.gpus }} GPU{% endif %}
{% else %}repo · {{ box.node.size_bytes | filesizeformat }}{% endif -%}
</text></g>
{% endfor %}
</svg></div>
{% endif %}
<h3 id="of-pipelines">Pipelines</h3>
<table aria-labelledby="of-pipelines"><thead><tr><th scope="col">Pipeline</th><th scope="col">State</th><th scope="col">Newest job</th>
<th scope="col">Reads</th><th scope="col" class="n">GPUs</th><th scope="col">Image</th><th scope="col">Description</th></tr></thead><tbody>
{% for one in lab.pipelines %}
<tr><th scope="row">{{ one.name | own }}</th><td>{{ word(one.state) }}{% if one.reason %}: {{ one.reason }}{% endif %}</td>\
<td data-as="newest job">{{ word(one.last_job_state) }}</td><td data-as="reads">{{ one.inputs | map('own') | join(', ') }}</td>\
<td class="n" data-as="GPUs">{{ one.gpus or '' }}</td><td data-as="image">{{ one.image }}</td><td>{{ one.description }}</td></tr>
{% endfor %}
</tbody></table>
<h3 id="of-repos">Repos</h3>
<table aria-labelledby="of-repos"><thead><tr><th scope="col">Repo</th><th scope="col" class="n">Size</th><th scope="col">Branches</th>
<th scope="col">Description</th></tr></thead><tbody>
{% for repo in lab.repos %}
<tr><th scope="row">{{ repo.name | own }}</th><td class="n" data-as="size">{{ repo.size_bytes | filesizeformat }}</td>\
<td data-as="branches">{{ repo.branches | join(', ') }}</td><td>{{ repo.description }}</td></tr>
{% endfor %}
</tbody></table>
{% endif %}</section>
"""

_JOBS = """
{% if lab and not lab.error %}
<section aria-labelledby="jobs"><h2 id="jobs">Jobs</h2>
{% if line %}
<div class="ends"><span>{{ line.first | moment }} UTC</span><span>{{ line.last | moment }} UTC</span></div>
{% for name, bars in line.rows.items() %}
<div class="row"><span>{{ name | own }}</span><svg viewBox="0 0 {{ line_width }} 16" preserveAspectRatio="none" role="img"
 aria-label="{{ bars | length }} jobs of {{ name | own }}; the table below has them in words">
{% for bar in bars %}
<rect class="q" x="{{ bar.x }}" y="6" width="{{ (bar.end - bar.x) | round(1) }}" height="4"/>\
<rect class="{{ bar.job.state | tone }}" x="{{ [bar.run, bar.end - 3] | min }}" y="{{ 0 if bar.job.state | tone == 'bad' else 2 }}" \
width="{{ [bar.end - bar.run, 3] | max | round(1) }}" height="{{ 16 if bar.job.state | tone == 'bad' else 12 }}"/>
{% endfor %}
</svg></div>
{% endfor %}
<p class="soft">Grey line: the job waited. Bar: it ran, or still does (blue). Taller bar: it failed.</p>
{% for log in lab.logs %}
<h3>Last lines of {{ log.pipeline | own }}, job {{ log.job[:8] }}</h3>
<pre tabindex="0" aria-label="Log of {{ log.pipeline | own }}">{{ log.lines | join('\\n') }}</pre>
{% endfor %}
{{ job_table(lab.jobs[:listed], 'Newest jobs') }}
{% if lab.jobs | length > listed %}
<details><summary>{{ lab.jobs | length - listed }} older jobs</summary>{{ job_table(lab.jobs[listed:], 'Older jobs') }}</details>
{% endif %}
{% else %}<p class="soft">No job ran so far.</p>{% endif %}
</section>
<section aria-labelledby="commits"><h2 id="commits">Newest commits</h2>
{% if lab.commits %}
<table aria-labelledby="commits"><thead><tr><th scope="col">Repo</th><th scope="col">Commit</th><th scope="col" class="n">Size</th>
<th scope="col">Started (UTC)</th><th scope="col">Made from</th><th scope="col">Description</th></tr></thead><tbody>
{% for commit in lab.commits %}
<tr><th scope="row">{{ commit.repo | own }}</th><td data-as="commit">{{ commit.id[:8] }}</td>
<td class="n" data-as="size">{{ commit.size_bytes | filesizeformat }}</td><td data-as="started">{{ commit.started | moment }}
{%- if not commit.finished %}, open{% endif %}</td>
<td data-as="made from">
{%- for source in commit.provenance %}{% set name, at, id = (source | own).partition('@') %}{{ name }}@{{ id[:8] }}
{%- if not loop.last %}, {% endif %}{% else %}a user's upload{% endfor %}</td>\
<td>{{ commit.description }}{% if commit.error %} <span class="bad">{{ commit.error }}</span>{% endif %}</td></tr>
{% endfor %}
</tbody></table>{% else %}<p class="soft">There is none.</p>{% endif %}</section>
{% endif %}
</main></body></html>
"""

TEMPLATE = _MACROS.strip() + _HEAD + _PROBLEMS + _CHANGES + _MACHINES + _PIPELINES + _JOBS
