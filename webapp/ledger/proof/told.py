"""What a proof found, as a report for programs."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from webapp.ledger.proof.sealed import SealReport
from webapp.ledger.verify import Report


def report_for_programs(
    report: Report, seals: SealReport, *, seconds: float, names: Mapping[int, str]
) -> dict[str, Any]:
    """The figures of both, and every finding with the name of its account; `names` are by account id."""
    findings = report.findings + seals.findings
    return {
        "holds": not findings and not seals.unknown_keys,
        **asdict(report),
        "seals": seals.seals,
        "sealed_heads": seals.heads,
        "unknown_seal_keys": sorted(seals.unknown_keys),
        "seconds": round(seconds, 3),
        "findings": [{**finding._asdict(), "account": names.get(finding.account_id or 0)} for finding in findings],
    }
