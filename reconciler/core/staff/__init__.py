"""What a person is told: what needs one (attention), why and what to do (parking, advice), what is
late.

Nothing in here moves a status or asks for an effect. Sentences that depend on the status alone
stand in `stages.py`. Begin with `attention.py`."""
