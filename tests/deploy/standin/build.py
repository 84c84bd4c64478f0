"""Makes the .deb of the stand-in for Grafana: `python -m tests.deploy.standin.build [--version 11.6.0] FOLDER`.

No package of Grafana can be had where this project is tested. This one has its name, unit, user, paths and port, so the
role installs it from a file (`grafana_deb`) as it would the real one. Whatever it shows a person says "stand-in".
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PACKAGE = HERE / "package"

VERSION = "11.6.0"
# Below the folder that the real one has its own files in; the modules keep the names that they have in the repository.
LIBRARY = Path("usr/share/grafana/lib")

CONTROL = """Package: grafana
Version: {version}
Section: misc
Priority: optional
Architecture: all
Depends: adduser, python3, python3-yaml
Maintainer: the tests of this project <root@localhost>
Description: stand-in for Grafana, for tests only
 It is not Grafana and draws no dashboard. It reads Grafana's settings and provisioning files, refuses what Grafana
 refuses, and answers the calls that this project makes.
"""

PROGRAM = """#!/usr/bin/python3
# The stand-in for Grafana, for tests only.
import sys

sys.path.insert(0, "/{library}")
sys.dont_write_bytecode = True

from tests.deploy.standin.main import main

sys.exit(main("{version}", sys.argv[1:]))
"""


def build(folder: Path, version: str = VERSION) -> Path:
    """The package of that version in that folder, made anew."""
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"grafana_{version}_stand-in.deb"
    with tempfile.TemporaryDirectory(prefix="stand-in-") as work:
        tree = Path(work) / "tree"
        shutil.copytree(PACKAGE, tree)
        _add(tree / "usr/share/grafana/bin/grafana", PROGRAM.format(library=LIBRARY, version=version))
        for module in sorted(HERE.glob("*.py")):
            if module.name != Path(__file__).name:
                _add(tree / LIBRARY / module.relative_to(ROOT), module.read_text("utf-8"))
        _add(tree / "DEBIAN/control", CONTROL.format(version=version))
        for path in tree.rglob("*"):
            runs = path.is_dir() or path.parent.name in ("sbin", "bin") or path.name in ("postinst", "prerm", "postrm")
            path.chmod(0o755 if runs else 0o644)
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(package)]
        # The same files make the same package: a host that has it needs no new one.
        environ = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ, timeout=120)
    return package


def _add(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":", maxsplit=1)[0])
    parser.add_argument("--version", default=VERSION)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    sys.stdout.write(f"{build(options.folder, options.version)}\n")


if __name__ == "__main__":
    main()
