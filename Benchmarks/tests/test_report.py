"""The report is honest: bounds, verdicts, and rows that stay while others are measured anew."""

import json
import pathlib
import tempfile
import unittest

import benchmarks  # noqa: F401
from harness import report
from harness.report import Report, Row

TITLES = {"small": "Small bodies", "large": "Large bodies"}


def row(claim, figure=1.0, ratio=0.5, to_reach=0.8):
    return Row(
        claim, "time", figure, "µs", "nginx", 2.0, ratio, to_reach, ratio <= to_reach,
        (0.9, 1.1), (1.8, 2.2), 5,
    )


class ReportTests(unittest.TestCase):
    def test_a_report_reads_back_as_it_was_written(self):
        whole = Report({"cores": "2"}, "make bench", {"small": "How."}, (row("small"),))
        self.assertEqual(Report.from_json(whole.to_json()), whole)

    def test_fields_of_another_version_are_left_out(self):
        text = json.dumps({"rows": [{"claim": "small", "what": "w", "figure": 1, "unit": "µs",
                                     "colour": "red"}]})
        self.assertEqual(Report.from_json(text).rows, (Row("small", "w", 1, "µs"),))

    def test_a_claim_measured_anew_leaves_the_others(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for fresh in (
                Report({}, "make bench", {"small": "A.", "large": "B."},
                       (row("small"), row("large"))),
                Report({}, "make bench", {"small": "C."}, (row("small", figure=7.0),)),
            ):
                report.write(folder, fresh, TITLES)
            kept = Report.from_json((folder / "performance.json").read_text())
            self.assertEqual([each.figure for each in kept.rows], [7.0, 1.0])
            self.assertEqual(kept.notes, {"small": "C.", "large": "B."})
            self.assertIn("## Large bodies (`large`)", (folder / "performance.md").read_text())

    def test_a_claim_that_could_not_be_measured_keeps_no_old_rows(self):
        old = Report({}, "make bench", {"small": "A."}, (row("small"),))
        new = old.replacing(Report({}, "make bench", {"small": "Not measured: why."}), ["small"])
        self.assertEqual(new.rows, ())
        text = report.markdown(new, TITLES)
        self.assertIn("Not measured: why.", text)
        self.assertIn("Not measured: Small bodies.", text)

    def test_a_claim_that_is_no_more_goes(self):
        old = Report({}, "make bench", {"gone": "A."}, (row("gone"),))
        self.assertEqual(old.replacing(Report(rows=(row("small"),)), ["small"]).rows,
                         (row("small"),))

    def test_a_bound_that_is_not_reached_stands_out(self):
        text = report.table([row("small"), row("small", ratio=0.9)])
        self.assertEqual(text.count("**no**"), 1)
        self.assertEqual(text.count("| yes |"), 1)
        self.assertIn("≤ 0.80 of it", text)

    def test_a_figure_without_ratio_is_bounded_itself(self):
        own = Row("small", "memory", 1500, "bytes", to_reach=2560, reached=True)
        self.assertIn("| 1,500 | – | – | – | ≤ 2,560 | yes |", report.table([own]))

    def test_numbers_show_three_digits(self):
        numbers = [0, 0.123, 1.5, 12.34, 123.4, 12345.6, None]
        self.assertEqual(
            [report.number(each) for each in numbers],
            ["0", "0.12", "1.50", "12.3", "123", "12,346", "–"],
        )


if __name__ == "__main__":
    unittest.main()
