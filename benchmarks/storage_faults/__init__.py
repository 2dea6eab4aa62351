"""What a command says and leaves behind when one call of the file system fails: every call of the write path is made to fail in turn."""
