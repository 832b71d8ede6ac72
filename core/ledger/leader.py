"""Which of several orchestrators decides: a lease on a role."""

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from core.ledger import schema
from core.ledger.clock import now
from core.ledger.engine import Ledger

_leaders = schema.leaders


def acquire(ledger: Ledger, role: str, holder: str, seconds: float) -> bool:
    """Take or keep the role for so many seconds. False while another holds it."""
    values = {"holder": holder, "until": now() + seconds}
    taking = update(_leaders).where(
        _leaders.c.role == role, or_(_leaders.c.holder == holder, _leaders.c.until < now())
    )
    known = select(_leaders.c.role).where(_leaders.c.role == role)
    try:
        with ledger.write() as connection:
            if connection.execute(taking.values(values)).rowcount:
                return True
            if connection.execute(known).first():
                return False
            connection.execute(insert(_leaders).values(role=role, **values))
    except IntegrityError:  # another was first to take a new role
        return False
    return True


def resign(ledger: Ledger, role: str, holder: str) -> None:
    """Let another take the role at once."""
    mine = delete(_leaders).where(_leaders.c.role == role, _leaders.c.holder == holder)
    with ledger.write() as connection:
        connection.execute(mine)
