"""Reports: one HTML page about finished runs and sweeps."""

from valueflow.report.outcome import Report
from valueflow.report.page import shown_text
from valueflow.report.pipeline import TASK, make_report, report_on
from valueflow.report.settings import ReportSettings

__all__ = ["TASK", "Report", "ReportSettings", "make_report", "report_on", "shown_text"]
