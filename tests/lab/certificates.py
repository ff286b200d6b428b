# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for one test, with a server's and a client's certificate, made by openssl and named as NBD programs want them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.data_path import run

SERVER_NAME = "storage.example"


def make(folder: Path) -> tuple[Path, Path]:
    """(the server's folder, the client's folder)."""
    folder.mkdir()
    key, authority = folder / "ca-key.pem", folder / "ca-cert.pem"
    run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=lab authority", "-keyout", str(key), "-out", str(authority),
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    ])  # fmt: skip
    return _one(folder, "server", "serverAuth"), _one(folder, "client", "clientAuth")


def _one(folder: Path, who: str, purpose: str) -> Path:
    own = folder / who
    own.mkdir()
    shutil.copy(folder / "ca-cert.pem", own)
    request, extensions = folder / f"{who}.csr", folder / f"{who}.ext"
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        f"extendedKeyUsage={purpose}\nsubjectAltName=DNS:{SERVER_NAME},IP:127.0.0.1\n"
    )
    run([
        "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={who}",
        "-keyout", str(own / f"{who}-key.pem"), "-out", str(request),
    ])  # fmt: skip
    run([
        "openssl", "x509", "-req", "-days", "2", "-in", str(request), "-CA", str(folder / "ca-cert.pem"),
        "-CAkey", str(folder / "ca-key.pem"), "-CAcreateserial", "-extfile", str(extensions), "-out", str(own / f"{who}-cert.pem"),
    ])  # fmt: skip
    return own
