from contextlib import contextmanager
@contextmanager
def intercept_launches(tracer):
    yield
