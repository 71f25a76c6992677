"""Exact integer expressions with a canonical form: what the sums over loops and grids are computed in.

Sympy comes in and goes out (`convert`); in between, polynomials over variables with known bounds, floors, minima and
maxima are compared, simplified and proven non-negative far faster than sympy's own Min, Max and ceiling allow.
"""
