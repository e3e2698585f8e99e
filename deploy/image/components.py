#!/usr/bin/env python3
"""components.py FOLDER: the components of the image whose files are in FOLDER, as CycloneDX 1.5, on standard output.

The crates are those that the program is linked from on Linux, with the checksums of Cargo.lock; of the other files it
has the hash, and where Debian's package manager knows it, the package. The same input gives the same text.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import UTC, datetime
from pathlib import Path

TARGET = os.environ.get("TARGET", "x86_64-unknown-linux-gnu")
REPOSITORY = Path(__file__).resolve().parents[2]


def crates() -> tuple[list[dict], list[dict]]:
    """The crates that `crossbook` is built from without tests, and which needs which."""
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version=1", "--locked", "--offline"]
    listed = subprocess.run(
        [*command, "--filter-platform", TARGET], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    metadata = json.loads(listed.stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text())
    checksums = {(of["name"], of["version"]): of.get("checksum") for of in lock["package"]}
    [root] = [identity for identity, package in packages.items() if package["name"] == "crossbook"]
    needed, waiting = {}, [root]
    while waiting:
        identity = waiting.pop()
        if identity in needed:
            continue
        # A kind of null is a normal dependency; the others are of tests and of build scripts.
        needed[identity] = sorted(
            edge["pkg"] for edge in nodes[identity]["deps"] if any(kind["kind"] is None for kind in edge["dep_kinds"])
        )
        waiting.extend(needed[identity])

    def reference(identity: str) -> str:
        return f"pkg:cargo/{packages[identity]['name']}@{packages[identity]['version']}"

    components = []
    for identity in sorted(needed, key=reference):
        package = packages[identity]
        component = {
            "type": "application" if identity == root else "library",
            "bom-ref": reference(identity),
            "name": package["name"],
            "version": package["version"],
            "purl": reference(identity),
        }
        if license := package.get("license"):
            component["licenses"] = [{"expression": license.replace("/", " OR ")}]
        if checksum := checksums.get((package["name"], package["version"])):
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        components.append(component)
    edges = [
        {"ref": reference(identity), "dependsOn": sorted({reference(of) for of in needed[identity]})}
        for identity in sorted(needed, key=reference)
    ]
    return components, edges


def package_of(path: str) -> dict:
    """Debian's package of a file, if the package manager of this machine knows it."""
    for place in (path, f"/usr{path}", path.removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "--search", place], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            name = found.stdout.split(": ")[0].split(",")[0]
            version = subprocess.run(
                ["dpkg-query", "--show", "--showformat=${Version}", name], capture_output=True, text=True, check=True
            ).stdout
            name = name.split(":")[0]
            return {"version": version, "purl": f"pkg:deb/debian/{name}@{version}"}
    return {}


def files(folder: Path) -> list[dict]:
    """The files of the image that are not the program's."""
    components = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = "/" + str(path.relative_to(folder))
        if place.startswith("/usr/bin/") or place in ("/etc/passwd", "/etc/group"):
            continue
        try:
            origin = package_of(place)
        except FileNotFoundError:
            origin = {}
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        hashes = [{"alg": "SHA-256", "content": digest}]
        components.append({"type": "file", "bom-ref": place, "name": place, **origin, "hashes": hashes})
    return components


def main() -> None:
    components, edges = crates()
    [program] = [component for component in components if component["name"] == "crossbook"]
    rest = [component for component in components if component is not program] + files(Path(sys.argv[1]))
    time = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": program},
        "components": rest,
        "dependencies": edges,
    }
    content = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
