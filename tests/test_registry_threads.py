"""A table that several threads ask for the first time at once is whole for each of them."""

import sys
import threading
from dataclasses import dataclass

from proplim._registry import Registry

PARTS = 3
FILE = """
import time
time.sleep(0.2)
from slow_table_of_threads import TABLE, Thing
TABLE.add(Thing({name!r}))
"""


@dataclass(frozen=True)
class Thing:
    name: str


def test_no_thread_sees_a_part_of_the_table(tmp_path, monkeypatch):
    folder = tmp_path / "slow_table_of_threads"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for part in range(PARTS):
        (folder / f"file{part}.py").write_text(FILE.format(name=f"member{part}"))
    monkeypatch.syspath_prepend(str(tmp_path))
    import slow_table_of_threads

    slow_table_of_threads.TABLE = table = Registry("thing", "slow_table_of_threads")
    slow_table_of_threads.Thing = Thing
    seen: list[list[str]] = []
    threads = [threading.Thread(target=lambda: seen.append(table.names())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [[f"member{part}" for part in range(PARTS)]] * 4
    for name in [name for name in sys.modules if name.startswith("slow_table_of_threads")]:
        del sys.modules[name]
