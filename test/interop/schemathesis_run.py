"""Sends a gateway what its own OpenAPI document allows and what it does not: address on standard input, findings on standard output."""

import json
import subprocess
import sys
import tempfile

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"

given = json.load(sys.stdin)
with tempfile.TemporaryDirectory() as folder:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{given['http']}/openapi.json"),
            *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(given["examples"]), "--seed", "1", "--workers", "1"),
            *("--continue-on-failure", "--request-timeout", "20", "--no-color"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
    )
json.dump({"status": ran.returncode, "told": ran.stdout[-20000:] + ran.stderr[-5000:]}, sys.stdout)
