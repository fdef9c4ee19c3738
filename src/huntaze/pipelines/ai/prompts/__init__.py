"""What models are asked to do: one file a version, `<name>.<version>.txt`. A file that was used is never changed, as
answers are kept under its version; a better wording is a new file. The answer's type stands beside its checks."""
