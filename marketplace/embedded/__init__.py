"""One machine, one command: the process tree of `make run`.

Knows programs, ports and folders; knows nothing of tasks or credits. Tests use its servers too.
"""
