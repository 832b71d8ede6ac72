"""The dataset's report for people: one page that stands alone."""
