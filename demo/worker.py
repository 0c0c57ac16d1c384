"""A Worker for the payment workflow, and one payment from start to end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.worker import Worker

from demo.background import BackgroundLoop
from demo.workflow import Approval, Payment, PaymentWorkflow, Receipt, book_payment, mail_receipt

TASK_QUEUE = "payments"
PAYMENT = Payment(
    payer="Ada Lovelace", iban="GB33 BUKB 2020 1555 5555 55", email="ada@example.com", amount="129.90 EUR"
)
APPROVAL = Approval(approver="Charles Babbage", remark="Regular customer")
MEMO = {"customer_note": "Call Mrs Lovelace before noon"}


@contextmanager
def worker(background: BackgroundLoop, address: str, converter: DataConverter) -> Iterator[Client]:
    """Run a Worker until the block ends. Gives a client that encrypts as the Worker does."""
    client = background.run(Client.connect(address, data_converter=converter))
    payments = background.run(_new_worker(client))
    running = background.run(_start(payments))
    try:
        yield client
    finally:
        background.run(_stop(payments, running))


def make_payment(background: BackgroundLoop, client: Client, workflow_id: str) -> Receipt:
    """Run one payment from order to receipt."""
    return background.run(_make_payment(client, workflow_id))


async def _new_worker(client: Client) -> Worker:
    return Worker(client, task_queue=TASK_QUEUE, workflows=[PaymentWorkflow], activities=[book_payment, mail_receipt])


async def _start(payments: Worker) -> "asyncio.Task[None]":
    return asyncio.create_task(payments.run())


async def _stop(payments: Worker, running: "asyncio.Task[None]") -> None:
    await payments.shutdown()
    await running


async def _make_payment(client: Client, workflow_id: str) -> Receipt:
    handle = await client.start_workflow(
        PaymentWorkflow.run,
        PAYMENT,
        id=workflow_id,
        task_queue=TASK_QUEUE,
        memo=MEMO,
        static_summary=f"Payment of {PAYMENT.amount} by {PAYMENT.payer}",
        static_details=f"Ordered from {PAYMENT.iban}",
    )
    await handle.signal(PaymentWorkflow.approve, APPROVAL)
    return await handle.result()
