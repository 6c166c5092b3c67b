"""The page on which a payer says yes or no: one form, no script, two languages."""

from html import escape
from urllib.parse import urlsplit

from simulators.provider_books import Order, OrderState

CSS = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #f4f5f7; --card: #fff; --soft: #5b6675; --go: #0a7a45; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf1; --paper: #12161c; --card: #1b212a; --soft: #a3afbf; --go: #1b7f4f; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 26rem; margin: 0 auto; padding: 1rem; }
.note { margin: 0; padding: .5rem 1rem; background: #8a5a00; color: #fff; text-align: center; font-size: .875rem; }
.card { background: var(--card); border-radius: .75rem; padding: 1.25rem; margin: 1rem 0; }
h1 { font-size: 1.125rem; margin: 0; }
p { margin: .25rem 0; color: var(--soft); overflow-wrap: anywhere; }
.sum { font-size: 2.5rem; font-weight: 650; color: var(--ink); font-variant-numeric: tabular-nums; }
button, .back { display: block; width: 100%; min-height: 3rem; margin: .75rem 0; padding: .75rem; border: 0;
  border-radius: .5rem; font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer; }
.go { background: var(--go); color: #fff; }
.no, .back { background: none; color: inherit; border: 1px solid var(--soft); }
:focus-visible { outline: 3px solid #4b8df8; outline-offset: 2px; }
"""

_STATES = {OrderState.PAID: "已支付 · Paid", OrderState.CLOSED: "订单已关闭 · This order is closed"}


def yuan(fen: int) -> str:
    return f"¥{fen // 100}.{fen % 100:02d}"


def pay_page(order: Order) -> str:
    wish = order.wish
    body = f"""<p class="note">模拟收银台，不涉及真实资金 · Sandbox: no real money moves</p>
<main>
<div class="card">
<h1>{escape(wish.description)}</h1>
<p>{escape(wish.merchant)}</p>
<p class="sum">{yuan(wish.amount_fen)}</p>
<p>订单号 · Order {escape(wish.order_no)}</p>
</div>
{_choice(order)}
</main>"""
    return _document("收银台 · Sandbox pay", body)


def message_page(text: str) -> str:
    return _document(text, f'<main><div class="card"><h1>{escape(text)}</h1></div></main>')


def page_headers(return_url: str = "") -> dict[str, str]:
    """The form may lead to ourselves and, by the redirect after it, to the merchant's own origin; nowhere else."""
    parts = urlsplit(return_url)
    back = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
    policy = f"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{back}"
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",  # the way back may carry the order's secret
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _choice(order: Order) -> str:
    if order.state is not OrderState.OPEN:
        back = escape(order.wish.return_url)
        return f'<p role="status">{_STATES[order.state]}</p><a class="back" href="{back}">返回 · Back</a>'
    sum_yuan = yuan(order.wish.amount_fen)
    return f"""<form method="post">
<button class="go" name="choice" value="pay">支付 {sum_yuan} · Pay {sum_yuan}</button>
<button class="no" name="choice" value="cancel">取消 · Cancel</button>
</form>"""


def _document(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="zh-CN">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="stylesheet" href="/pay.css"></head>
<body>
{body}
</body>
</html>
"""
