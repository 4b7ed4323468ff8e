"""Work on chunks: how they are cut, who works on them, what is done of them, and the log. `chunked` offers it."""
