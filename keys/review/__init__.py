"""What people read, in portions that a person can review; and the reviews of it.

grouping    codec requests -> viewings, without a database
viewings    keeps the table of viewings up to the audit
marks       what is unusual about a viewing, and why
reviews     the only writer of reviews
selection   the filters of the pages
activity    the figures behind the charts
report      a period in figures, for whoever asks whether the audit is reviewed
pages       the auditor's pages
"""
