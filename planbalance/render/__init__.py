"""What commands print: first the document that `--json` prints, then the text for people, made from that document."""
