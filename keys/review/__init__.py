"""What people read, in portions that a person can review; and the reviews of it.

grouping    codec requests -> viewings, without a database
positions   how far the audit has been read, chain by chain
viewings    keeps the table of viewings up to the audit, or makes it anew
hours       what each person did in the last hours, for alerts
marks       what is unusual about a viewing, and why
reviews     the only writer of reviews
lookup      the viewing of a record
selection   the filters of the pages
wording     a viewing as a sentence
activity    the figures behind the charts
report      a period in figures, for whoever asks whether the audit is reviewed
pages       the auditor's pages, which admin registers
"""
