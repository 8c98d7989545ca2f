"""What the commands say: first the document that scripts read, then the text for people, made from that document."""
