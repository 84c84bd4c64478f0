"""What root sees on a site's host: the database's rows, and how much memory each service takes."""

import json
from collections.abc import Mapping
from typing import Any

from tests.deploy.record import Machine
from tests.deploy.remote import run

# As the README has it for an operator: root's way in.
PSQL = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "-U", "telemetry", "-d", "agent_telemetry")

# Memory that processes share counts for each by its part, so the sum is what the host has to have. By unit; who asks
# counts as part of ssh.
MEMORY = r"""
import json, os, re
found = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        unit = open(f"/proc/{pid}/cgroup").read().strip().rpartition(":")[2]
        kilobytes = re.search(r"^Pss: +(\d+) kB", open(f"/proc/{pid}/smaps_rollup").read(), re.MULTILINE)
    except OSError:
        continue  # it has ended, or is a thread of the kernel
    name = (re.findall(r"[^/]+\.(?:service|scope)", unit) or ["others"])[-1]
    if kilobytes:
        found[name] = found.get(name, 0) + int(kilobytes[1])
print(json.dumps(found))
"""


# Each table's name, number of rows and a digest of all of them, whatever their order. Without those in which the site
# notes how it is doing itself: every minute, and after every backup.
CENSUS = r"""
SELECT format('SELECT %L, count(*), md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '''')) FROM %I.%I AS t',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND c.relname NOT LIKE 'status\_%'
ORDER BY n.nspname, c.relname \gexec
"""


class Database:
    """The site's database, by psql on its host."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def ask(self, statement: str) -> str:
        """What a statement answers: a line a row, its columns separated by |."""
        return run(self.machine, *PSQL, text=statement).strip()

    def json(self, statement: str) -> Any:
        """The one JSON value that a statement answers."""
        return json.loads(self.ask(statement))

    def census(self) -> dict[str, tuple[int, str]]:
        """Each table's number of rows, and a digest of them."""
        rows = [line.split("|") for line in self.ask(CENSUS).splitlines()]
        return {table: (int(count), digest) for table, count, digest in rows}

    def events(self, host_id: str) -> Mapping[str, int]:
        """How often each eventId of a host is stored."""
        found: dict[str, int] = self.json(
            "SELECT coalesce(json_object_agg(event_id, often), '{}') FROM (SELECT event_id, count(*) AS often "
            f"FROM reporting.events WHERE host_id = '{host_id}' GROUP BY event_id) AS counted"
        )
        return found


def memory(machine: Machine) -> Mapping[str, int]:
    """Proportional set size in kB, by unit, the largest first."""
    found: dict[str, int] = json.loads(run(machine, "python3", "-", text=MEMORY))
    return dict(sorted(found.items(), key=lambda item: -item[1]))
