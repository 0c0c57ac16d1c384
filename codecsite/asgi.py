"""The server's one application: Django as WSGI in a small thread pool, behind the intake.

Django's synchronous stack is slow under its own ASGI handler (a thread and a database connection per request);
docs/adr/0001 has the figures.
"""

import os
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application

from codecsite.intake import Intake

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "codecsite.settings")

wsgi = get_wsgi_application()  # sets Django up, which the front layer needs

from codec.front import front  # noqa: E402
from codec.front_asgi import FrontMiddleware  # noqa: E402

django = WSGIMiddleware(cast(Any, wsgi), workers=settings.CODEC_THREADS)
application = Intake(FrontMiddleware(cast(Any, django), front))
