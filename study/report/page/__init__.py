"""`report.html`: a study on one page, in one file that needs neither a network nor, to be read, scripts."""
