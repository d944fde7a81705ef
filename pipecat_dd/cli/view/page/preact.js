/** What of htm's preact module the page uses. It escapes all text that is put into a template. */

export const { html, render, Component, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } =
  window.htmPreact;
