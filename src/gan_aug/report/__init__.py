"""The report of a study: report.html, results.csv, summary.json and figures/."""
