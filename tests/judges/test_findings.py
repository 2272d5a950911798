"""The formats of findings, judged by Microsoft's SARIF validator, a model of OCSF and AWS's model of Security Hub."""

import json
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding

from session_manager_fleet.reports import VERIFICATION_REPORTS
from session_manager_fleet.verify import Verification
from tests.session_manager_fleet.reports.verifications import hostile, many

VALIDATOR = Path(__file__).parent / "node_modules" / "@microsoft" / "sarif-multitool" / "bin.js"
RUNS = pytest.mark.parametrize("run", [hostile(), many(60)], ids=["hostile", "many"])


@pytest.mark.parametrize("kind", ["Sarif", "Ghas"])
def test_sarif(tmp_path: Path, kind: str) -> None:
    """Its rules for the specification, and those of GitHub's code scanning."""
    path = tmp_path / "findings.sarif"
    path.write_text(VERIFICATION_REPORTS["sarif"](hostile()), encoding="utf-8")

    judged = subprocess.run(
        ["node", VALIDATOR, "validate", path, "--rule-kind", kind], capture_output=True, text=True, check=False
    )

    output = judged.stdout + judged.stderr
    assert judged.returncode == 0, output
    assert "1 files scanned" in output
    # The project has no page of its own that the tool could name (SARIF2005).
    assert [
        line for line in output.splitlines() if ": error " in line or (": warning " in line and "SARIF2005" not in line)
    ] == []


@RUNS
def test_ocsf(run: Verification) -> None:
    for event in json.loads(VERIFICATION_REPORTS["ocsf"](run)):
        found = ComplianceFinding.model_validate(event)
        assert (found.class_uid, found.type_uid // 100, found.category_uid) == (2003, 2003, 2)


@RUNS
def test_asff(run: Verification) -> None:
    findings = json.loads(VERIFICATION_REPORTS["asff"](run))
    model = botocore.session.get_session().get_service_model("securityhub")
    shape: Any = model.operation_model("BatchImportFindings").input_shape
    # https://docs.aws.amazon.com/securityhub/latest/userguide/asff-required-attributes.html
    for start in range(0, len(findings), 100):
        batch = findings[start : start + 100]
        assert botocore.validate.ParamValidator().validate({"Findings": batch}, shape).generate_report() == ""
        assert {finding["Compliance"]["Status"] for finding in batch} <= {"PASSED", "FAILED", "WARNING"}
        for finding in batch:
            assert set(shape.members["Findings"].member.required_members) <= set(finding)
            assert (len(finding["Title"]), len(finding["Description"])) <= (256, 1024)
    assert len({finding["Id"] for finding in findings}) == len(findings)
