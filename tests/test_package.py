"""The package as a whole: what importing it costs, what it exports, where imports point."""

import ast
import subprocess
import sys
from pathlib import Path

import discrete_ca as dca

ROOT = Path(dca.__file__).parent


def test_importing_loads_nothing_heavy():
    script = (
        "import sys, discrete_ca\n"
        "heavy = {'datasets', 'PIL', 'matplotlib', 'rich', 'accelerate', 'pandas', 'pyarrow',\n"
        " 'huggingface_hub', 'httpx2', 'yaml', 'tokenizers', 'fastapi', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_everything_exported_is_there():
    for name in dca.__all__:
        assert hasattr(dca, name), name


def test_imports_point_one_way():
    rank = {
        "errors": 0, "sealed": 1, "logits": 1, "serialization": 1, "checks": 1, "draws": 1,
        "hub": 1, "orders": 1, "conditions": 2, "masks": 2, "corruption": 2, "nn": 2, "data": 2,
        "metrics": 2, "distributions": 3, "card": 3, "kernels": 4, "objectives": 5, "renoising": 5,
        "metropolis": 4, "walker": 5, "chains": 5, "training": 6, "diagnostics": 6, "drawing": 6,
        "files": 7, "runs": 7, "demo": 8, "explore": 8, "server": 9, "cli": 10, "__main__": 11,
    }  # fmt: skip
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] == "__init__" or "assets" in parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = node.module.split(".")
                if inside[0] != "discrete_ca":
                    continue
                names = [inside[1]] if len(inside) > 1 else [a.name for a in node.names]
            for name in names:
                if name in rank and name != parts[0]:
                    assert rank[name] <= rank[parts[0]], f"{path} imports {name}"
