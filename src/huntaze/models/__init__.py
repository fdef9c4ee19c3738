"""Tables, job arguments and kinds, stores (all SQL), unit of work, migrations."""
