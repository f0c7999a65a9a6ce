"""Everything that is shown: pictures, tables, pages, files and JSON."""
