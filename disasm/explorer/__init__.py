"""The explorer: a page that shows the machine code of a text as it is typed."""
