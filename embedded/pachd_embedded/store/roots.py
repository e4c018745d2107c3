# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables refer to: the one list that garbage collection and fsck go by."""

from __future__ import annotations

# A job builds on the output of the last successful one, which is another tree than that of its commit where
# somebody wrote into that. One whose commit was dropped or squashed is built on no more, but by a job that
# runs already.
FORGOTTEN = (
    "DELETE FROM file_set WHERE expires < CAST(strftime('%s', 'now') AS REAL)",
    "UPDATE job SET output_tree = NULL WHERE output_tree IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM pfs_commit WHERE pfs_commit.seq = job.output) AND NOT EXISTS"
    " (SELECT 1 FROM job AS other WHERE other.pipeline_id = job.pipeline_id AND other.finished IS NULL)",
)
# Each gives (a name for people, the root). The values of these trees name chunks.
FILE_TREES = (
    "SELECT 'commit ' || project.name || '/' || repo.name"
    " || CASE repo.type WHEN 'user' THEN '' ELSE '.' || repo.type END || '@' || c.id, c.tree"
    " FROM pfs_commit AS c JOIN repo ON repo.id = c.repo_id JOIN project ON project.id = repo.project_id"
    " WHERE c.tree IS NOT NULL",
    "SELECT 'output of job ' || id, output_tree FROM job WHERE output_tree IS NOT NULL",
    "SELECT 'file set ' || token, additive FROM file_set WHERE additive IS NOT NULL",
)
OTHER_TREES = (
    "SELECT 'file set ' || token, deletive FROM file_set WHERE deletive IS NOT NULL",
    "SELECT 'datums of job ' || id, datums FROM job WHERE datums IS NOT NULL",
)
# (a name, the id in hex): the output of datums whose job has not ended.
CHUNKS = (
    "SELECT 'datum ' || datum, json_extract(chunk.value, '$[0]') FROM datum_done,"
    " json_each(result, '$.files') AS file, json_each(file.value, '$[1]') AS chunk",
)
