"""Build hook: stores the parse tables of the grammar in the wheel, so that no start has to compute them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TablesHook(BuildHookInterface[Any]):
    """Computes `grammar/dfsql.tables` before a wheel or an editable install is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version, build_data
        root = str(Path(self.root).resolve())
        known = [name for name in sys.modules if name == "dfc" or name.startswith("dfc.")]
        for name in known:
            del sys.modules[name]
        sys.path.insert(0, root)
        try:
            from dfc.grammar.tables import store
        finally:
            sys.path.remove(root)
        store()
