"""Alembic's entry: runs revisions on the connection and in the transaction it is given."""

from alembic import context

# Both databases roll back DDL. Alembic assumes that SQLite does not, because Python's driver used to commit before it;
# ours begins its transactions itself.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True, render_as_batch=True)
context.run_migrations()
