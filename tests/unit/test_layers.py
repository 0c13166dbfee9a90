"""The house's rules, held: one direction between the layers, one importer for each outside thing, every test collected.

`docs/architecture.md` says why. A new outside library gets a line in ONE_IMPORTER, not a second importer.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("components", "scripts")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# What both sides use: artifacts, their manifests and their tables, and the templates; these know neither Pulumi nor a
# machine.
SHARED_PARTS = ("artifact", "data", "fields", "manifest", "migration", "render", "schema", "stages", "tables", "window")
SHARED = tuple(f"components.{part}" for part in SHARED_PARTS)
# Outside library -> the files or folders that may import it.
ONE_IMPORTER = {
    "pulumi_command": ("components/commands.py", "scripts/engine/"),
    "pulumi_libvirt": ("components/libvirt.py",),
    "jinja2": ("components/render.py",),
    "paramiko": ("scripts/ssh/", "scripts/engine/"),
    "pulumi": ("__main__.py", "components/", "scripts/engine/"),
    "cassandra": ("scripts/database/", "scripts/tables/"),
    "typer": ("scripts/cli/",),
    "grpc": ("scripts/engine/",),
    "scipy": ("scripts/experiment/statistics/", "scripts/experiment/soak.py"),
    "statsmodels": ("scripts/experiment/statistics/",),
    "matplotlib": ("scripts/experiment/pictures/",),
    "hdrh": ("scripts/experiment/reduce.py",),
}


def name_of(path):
    return str(path.relative_to(ROOT))


def imports_of(path):
    """Every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def code_of(path):
    """A file's text without its comments."""
    return re.sub(r"(?m)#.*$|\{#.*?#\}", "", path.read_text("utf-8"))


def belongs_to(module, package):
    return module == package or module.startswith(package + ".")


def test_there_is_something_to_check():
    assert len(SOURCES) > 20
    assert len(TESTS) > 5


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "components")], ids=name_of)
def test_a_component_never_imports_a_script(path):
    assert not [module for module in imports_of(path) if belongs_to(module, "scripts")]


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "scripts")], ids=name_of)
def test_a_script_imports_of_the_components_only_what_both_sides_share(path):
    used = [module for module in imports_of(path) if belongs_to(module, "components") and module != "components"]
    assert not [module for module in used if not any(belongs_to(module, shared) for shared in SHARED)]


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_each_outside_library_has_one_importer(library):
    importers = {name_of(path) for path in SOURCES if any(belongs_to(module, library) for module in imports_of(path))}
    strangers = {name for name in importers if not name.startswith(ONE_IMPORTER[library])}
    assert not strangers, f"{library} is imported by {', '.join(sorted(strangers))}"


def test_only_what_provides_machines_knows_what_provides_them():
    asks = re.compile(r"\bsubstrate\b|\blibvirt|\bpodman\b|scripts\.(vms|containers)")
    may = ("components/libvirt", "components/hypervisor.py", "components/containers.py", "components/topology.py")
    may += ("components/settings.py", "components/host.py", "components/site.py", "components/cloud_init.py")
    may += ("scripts/containers/", "scripts/vms/", "scripts/image/", "scripts/make/", "scripts/engine/")
    # The first of a few that name podman or containers without asking: stop and start of what is on this machine.
    may += ("scripts/cli/commands.py", "scripts/mirror/build.py")
    others = [path for path in [*SOURCES, *(ROOT / "templates").rglob("*.j2")] if not name_of(path).startswith(may)]
    assert not [name_of(path) for path in others if asks.search(code_of(path))]


@pytest.mark.parametrize("path", sorted((ROOT / "scripts" / "host").glob("*.py")), ids=name_of)
def test_a_tool_that_runs_on_hosts_needs_the_standard_library_only(path):
    beside = {other.stem for other in path.parent.glob("evenkeel_*.py")}
    outside = {module.partition(".")[0] for module in imports_of(path)} - set(sys.stdlib_module_names) - beside
    assert not outside
    assert path.stat().st_mode & 0o111, f"{name_of(path)} is not executable"
    assert path.read_text("utf-8").startswith("#!/usr/bin/python3\n")


def test_every_package_says_what_it_is_for():
    folders = {path.parent for path in SOURCES if path.parent != ROOT / "scripts" / "host"}
    silent = [
        name_of(folder)
        for folder in sorted(folders)
        if not (folder / "__init__.py").exists()
        or not ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    ]
    assert not silent


def test_no_file_is_a_drawer_for_everything():
    names = ("utils", "util", "helpers", "misc", "common")
    assert not [name_of(path) for path in SOURCES if path.stem in names or path.parent.name in names]


@pytest.mark.parametrize("path", [path for path in TESTS if not path.name.startswith("test_")], ids=name_of)
def test_every_test_is_in_a_file_that_pytest_collects(path):
    uncollected = [
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name.startswith(("test_", "Test"))
    ]
    assert not uncollected


@pytest.mark.parametrize("path", [path for path in TESTS if path.name.startswith("test_")], ids=name_of)
def test_no_test_hides_another_of_the_same_name(path):
    tree = ast.parse(path.read_text("utf-8"))
    for scope in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        names = [
            node.name for node in scope.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        assert len(names) == len(set(names)), f"{name_of(path)} defines a test twice"
