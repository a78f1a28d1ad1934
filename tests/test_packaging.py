"""The wheel, built and used outside the checkout; and that every import is a declared dependency."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
USE = """
import torch, zoo
from pathlib import Path
(path,) = Path("home/outputs/models").rglob("*.safetensors")
model = zoo.load(str(path))
x = 16 * torch.rand(3, 8, 8)
assert model.encode(x).shape == (3, 8)
assert model.decode(model.encode(x)).shape == x.shape
print(zoo.__file__, len(zoo.variants()))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(REPOSITORY),
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_with_its_option_files_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"zoo", f"bottleneck_zoo-{PROJECT['version']}.dist-info"}
    options = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "conf").rglob("*.yaml")}
    assert {name.removeprefix("zoo/") for name in names if name.startswith("zoo/conf/")} == options
    modules = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "zoo").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


@pytest.mark.slow
def test_it_fits_saves_loads_and_encodes_in_an_environment_elsewhere(wheel, tmp_path):
    """Its dependencies come from this environment, the zoo itself does not."""
    place = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "ZOO_HOME")}
    environment["XDG_CACHE_HOME"] = str(elsewhere / "cache")

    def call(*command, **more):
        done = subprocess.run(
            command, cwd=elsewhere, env=environment | more, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = call(str(place / "bin" / "zoo"), "run", "variant=pca", "data=digits", ZOO_HOME="home")
    assert re.search(r"^record  home/outputs/records/digits/pca/\w+-s0\.json$", said, flags=re.M)
    file, count = call(str(python), "-c", USE).split()
    assert Path(file).is_relative_to(site)
    assert int(count) == len(list((REPOSITORY / "conf" / "variant").glob("*.yaml")))
    assert call(str(place / "bin" / "zoo"), "--version") == f"zoo {PROJECT['version']}\n"
    call(str(place / "bin" / "zoo"), "run", "variant=pca", "width=2", "evaluation.groups=[reconstruction]")
    assert list((elsewhere / "cache").rglob("*.safetensors")), "the user's cache folder is the home by default"


def names_of(requirements):
    return {re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def test_every_import_is_a_declared_dependency():
    declared = names_of(PROJECT["dependencies"])
    extras = {extra: names_of(needed) for extra, needed in PROJECT["optional-dependencies"].items()}
    distributions = packages_distributions()
    found = {}
    for path in [*(REPOSITORY / "zoo").rglob("*.py"), *(REPOSITORY / "experiments").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for top in {module.split(".")[0] for module in modules}:
                if top not in sys.stdlib_module_names and top not in ("zoo", "experiments"):
                    found.setdefault(top, path)
    for top, path in found.items():
        candidates = {name.lower().replace("_", "-") for name in distributions.get(top, [top])}
        inside = path.is_relative_to(REPOSITORY / "zoo")
        known = (
            declared | extras["search"] if inside else declared | extras["pythae"] | extras["words"] | extras["claims"]
        )
        assert candidates & known, f"{path} imports {top}, which pyproject.toml does not declare"


def test_every_declared_dependency_is_imported():
    text = "\n".join(path.read_text() for path in (REPOSITORY / "zoo").rglob("*.py"))
    imported = {"scikit-learn": "sklearn", "pillow": "PIL", "pyyaml": "yaml", "hydra-core": "hydra"}
    imported["tabulate"] = "to_markdown"  # of pandas
    for name in names_of(PROJECT["dependencies"]):
        module = imported.get(name, name.replace("-", "_"))
        assert re.search(rf"\b{module}\b", text), f"{name} is declared and not used"
