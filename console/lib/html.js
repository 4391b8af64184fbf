// Preact and its templates: one place that names the library.
export {
  Component, h, html, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState,
} from "../vendor/preact-htm.js";
