"""The first floor: what one looks up; every table is droppable and rebuilt from the journal."""
