"""The pure part: what is believed of a lend, what follows from a look, when to look again.

No I/O, no clock, no chance, no log and no settings in here: everything is a value or a function of
values, so that whatever the service did can be decided again from what it saw.

Theory of operation
===================

Alma tells nobody when a book is sent, shelved, loaned or returned. So each lend (a *transaction*)
is *polled*: its records are read at the libraries that take part, the readings are laid over what
we remember of it, and a table says what they prove. Five questions are asked, in this order; each
has its file, in the order in which they are best read.

1. *Where can a lend stand?* `status.py` has every word, ours and Alma's, and the named groups of
   statuses. `stages.py` has one row per status: what we believe, what staff do about it, when it is
   late, what is read and how often.
2. *What did Alma say?* `mapping.py` turns its words and error codes into ours, as data; a word that
   is not there stays UNKNOWN with Alma's own beside it. `model/` has the values: a reading is a
   value, unreadable for a reason, or not made. `view/` lays them over the snapshot, leg by leg, and
   says which of them are ours at all.
3. *What does it prove?* `evidence/`: one plain function per fact, from a view to a finding, in four
   files by the way of the book: outward, homeward, unfilled, and what asks for a renewal. A finding
   holds, waits (and says which reads, or how much later a second look, would settle it) or does not
   hold.
4. *What follows?* `transitions.py` is the table: a row leads from one status to the next legal one
   on its own fact, or, inferred, on a later one that implies it, since polls miss states. `walk.py`
   fires rows hop by hop until none does. `effects.py` says what each row asks for, what is still
   needed, superseded, or left to be cleared. `decide.py` is the whole of it as a pipeline: walk,
   remember, act, ask for a person, schedule.
5. *When do we look again, and at what?* `lookahead.py` asks the facts ahead what they need, so that
   a read is made only where it could change a decision. `cadence.py` says when.

Below them: `commands/`, what people order; `staff/`, what people are told; `library/`, how one Alma
stands with us.

Full and light polls
--------------------

A full poll reads every library that a rule of the status asks, and whatever the facts ahead need
after that; it is made first, after a failure, when a person asks, when a second look is due, and
once a day. Between two of them polls are light: one read, where the next step shows, and the rest
only if it shows anything new. Most calls of a lend are light polls that show nothing.

Three answers, and what two looks are for
-----------------------------------------

Yes, no, and "cannot say" are kept apart everywhere: a read that failed is never a state, a list
that was not read is not an empty list, a record that was not found is absent only by a code of the
contract. What destroys (ending a loan, removing a record, ending a lend unsupplied) is never
concluded from one look: Alma shows what was just done with a delay (`settle`), and desks correct a
mistaken scan within minutes. Only looks count that were made since the book left. A record that is
read by an id that we remember tells about that record; whether the reader has the book, or whether
a hold of ours stands, is told by the item's lists of active loans and requests.

Rejected
--------

*A state machine library*: the rows are the documentation, a diagram is made from them, and a test
holds that they are total. *Event sourcing*: the history is for people; decisions read the snapshot
and one look, never the history, so that it can be archived. *Rules that call Alma*: a fact that
fetches what it lacks cannot be decided again; it names what it lacks instead. *Timestamps of Alma
as proof of order*: its clocks differ from ours and some dates come without a time. *A status for
trouble*: a fault is a mark on a status (`Parked`), because the status says where the book is.

Where a change goes
-------------------

| to add | touch |
|---|---|
| a status | `status.py` (word and groups), a row of `stages.py`, rows of `transitions.py` |
| a rule | a fact in `evidence/`, a row of `transitions.py`, a cell of `tests/golden` |
| a read | `ReadKind`, `LegObservation` in `model/`, `alma/reader.py`, `engine/observe.py` |
| a refusal code | `REFUSALS` in `mapping.py` |
| an effect | `EffectKind`, `STILL_NEEDED` in `effects.py`, a verb in `engine/effects/` |
| a reason to park | `ParkReason` in `staff/parking.py` and a check in `staff/attention.py` |
| a command | a function in `commands/`, its line in `engine/hands.py` and `cli/hands.py` |
| a sink | a module in `notify/`, its settings, its line in `app.py` |

Glossary
========

transaction: one patron request that we look after; people read "lend".  leg: one library's part of
it, by *role* (supplier, borrower, pickup).  side: a library by what it does (lender, pickup side,
reader); `Side.role` says whose leg that is in a workflow.  reading: one answer of Alma, mapped,
with its raw words.  poll: the reads of one look together.  fact, finding: a function of a look, and
what it says.  hop: one legal step of status.  action row: a row that asks for effects while the
status stays.  effect, intent: an outward act, and its durable record until it is done.  thing: one
record of the ledger of what we created in an Alma.  superseded: an intent that the journey has left
behind. attention, parked: what a person has to see to, and that one is waited for."""
