"""Patients' data goes to the archive that the registry names, and past no proxy that the environment names."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_client_takes_proxies_or_passwords_from_the_environment() -> None:
    made = [
        (path.relative_to(ROOT), node)
        for part in ("libs", "services")
        for path in (ROOT / part).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("AsyncClient", "httpx.Client"))
    ]
    assert made, "there is no client any more: this test can go"
    believing = [
        f"{path}:{node.lineno}"
        for path, node in made
        if not any(item.arg == "trust_env" and ast.unparse(item.value) == "False" for item in node.keywords)
    ]
    assert not believing
