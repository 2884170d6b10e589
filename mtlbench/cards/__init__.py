"""The card of a method, whoever wrote it: what it was asked, what it answered, which promise it broke.

subject.py    a function, a class or a method of ours, asked alike: a Jacobian goes in, a direction comes out
agreement.py  which of our methods it claims to be, and how far its direction is from ours and from cvxpy's
behaviour.py  scaling, permutation, randomness, memory, special tasks, cost: measured
conflict.py   the smallest cosine, and a small integer Jacobian that shows a conflict
card.py       all of it in one record, with the promises kept and broken
text.py       the card as text, and many cards as one table
peers.py      the peers' implementations that are installed, and what each claims to be
command.py    ``mtlbench check``
"""
