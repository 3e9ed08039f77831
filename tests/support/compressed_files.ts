/** Files compressed by the usual tools, which this runtime has no compressors for. */

const bytes = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));

/** What the small files hold. */
export const DUMP = "MDMP and the rest of a dump";

/** {@link DUMP} by `bzip2`. */
export const DUMP_BZ2 = bytes(
  "QlpoOTFBWSZTWeueRZYAAAOXgEAABAJAACdD3gAgACKZA9IzRChppgA5nUgCGVrOnie0+5SKU/F3JFOFCQ655Flg",
);

/** {@link DUMP} by `xz`. */
export const DUMP_XZ = bytes(
  "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAaTURNUCBhbmQgdGhlIHJlc3Qgb2YgYSBkdW1wAACyLAXQ1xnFxwABMxv3GYhe" +
    "H7bzfQEAAAAABFla",
);

/** {@link DUMP} by `xz --lzma2=dict=1GiB`. */
export const DUMP_XZ_HUGE_DICTIONARY = bytes(
  "/Td6WFoAAATm1rRGAgAhASQAAABeH8f5AQAaTURNUCBhbmQgdGhlIHJlc3Qgb2YgYSBkdW1wAACyLAXQ1xnFxwABMxv3GYhe" +
    "H7bzfQEAAAAABFla",
);

/** A dump of 8 MiB, all zeros behind its first four bytes, by `bzip2`. */
export const HUGE_DUMP_BZ2 = bytes(
  "QlpoOTFBWSZTWdIBQZIBAQLGgMAABAJAAABAAAggAFBgAUqGTQEAztAoCzd76AgHxdyRThQkNIBQZIA=",
);

/** The same by `xz`. */
export const HUGE_DUMP_XZ = bytes(
  "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM//8VAXBdACaRBd2iJrfSIEV5x2QKMZJGJ5iFbJazBAOkC+vfc52o/oSEObvixlXgrgkV" +
    "PhBahukJTZtv6jYkbtxUbLZY6T6cFj1Z0n+NjxA22c6Q5qvDhc+WsyLZ6x0SnUdvP+tO51LikgZWGZ5EnuLS5Eb2VPCIdSww28JQ" +
    "VJEilwYDX8lwOxTAMjeYpRUBpeijCSrsqv9aJqxyDBaSp745jyThcJ6nI1/sKMuF0ZWYin4qkfIndfcZwAaYTZj92K/VkA/EJVP4" +
    "9ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DE" +
    "vS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhc" +
    "WYbpZlJYvul2rFnk5VsFCPnH2q3rcR/Xn/8QASsA7HNTp/2+rnwxGp+3jTFucJ6nI1/sKMuF0ZWYin4qkfIndfcZwAaYTZj92K/V" +
    "kA/EJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsq" +
    "bN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAd" +
    "us6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgL" +
    "zf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVEPP7Kf/xABKwDsc1On/b6ufDEan7eNMW5wnqcjX+woy4XRlZiKfiqR8id19xnABphN" +
    "mP3Yr9WQD8QlU/j1kTYxBaWw7m/BcE1HDNGREaqtYB26zrEnGFxZhulmUli+6XasWeTlWwUI+cfarfz7Uit0zR5bIEL53VM9+Clk" +
    "CTuAyyps37U78MS9Ll+qDz5LZkKQEw7/EJP4cXhZ+AvN/5UoRg+p/Hze+5owLlbAj4Xzg4HAZcQlU/j1kTYxBaWw7m/BcE1HDNGR" +
    "EaqtYB26zrEnGFxZhulmUli+6XasWeTlWwUI+cfarfz7Uit0zR5bIEL53VM9+ClkCTuAyyps37U78MS9Ll+qDz5LZkKQEw7/EJP4" +
    "cXhZ+AvN/5UoRg+p/Hze+5owLlbAj4Xzg4HAZcQlUQ8/sp//EAErAOxzU6f9vq58MRqft40xbnCepyNf7CjLhdGVmIp+KpHyJ3X3" +
    "GcAGmE2Y/div1ZAPxCVT+PWRNjEFpbDub8FwTUcM0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvnd" +
    "Uz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpATDv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVT+PWRNjEFpbDub8Fw" +
    "TUcM0ZERqq1gHbrOsScYXFmG6WZSWL7pdqxZ5OVbBQj5x9qt/PtSK3TNHlsgQvndUz34KWQJO4DLKmzftTvwxL0uX6oPPktmQpAT" +
    "Dv8Qk/hxeFn4C83/lShGD6n8fN77mjAuVsCPhfODgcBlxCVRDz+ygAO2AAUAe1MPhwAAAAAjKP+UYI1rxAABqgqAgIAEHQ/gAbHE" +
    "Z/sCAAAAAARZWg==",
);

/** Runs of the lengths at which the format changes its ways: byte and length of each. */
// deno-fmt-ignore
export const RUNS: readonly (readonly [number, number])[] = [[130, 700], [183, 700], [14, 255], [127, 260], [26, 2], [57, 5], [240, 3], [194, 256], [52, 259], [127, 1], [110, 200], [143, 2], [199, 2], [36, 2], [227, 2], [67, 1], [2, 3], [110, 2], [85, 4], [160, 3], [104, 2], [100, 200], [152, 1], [184, 200], [84, 2], [135, 1], [169, 4], [1, 259], [173, 1], [158, 5], [156, 255], [161, 2], [246, 255], [90, 1], [131, 1], [183, 200], [9, 256], [214, 5], [192, 259], [4, 255], [23, 700], [92, 259], [100, 1], [125, 255], [176, 256], [181, 256], [128, 255], [55, 259], [188, 4], [18, 200], [46, 3], [174, 256], [185, 2], [174, 4], [47, 4], [162, 4], [90, 1], [76, 700], [158, 255], [82, 700]];

/** {@link RUNS} by `bzip2`. */
export const RUNS_BZ2 = bytes(
  "QlpoOTFBWSZTWaK3os8AAE////QhEJAEAYSgCAQWFARBAALYgIBFcCNC9FSAAQAIAEEIMADWMIlNMmAmEwAGgNTAj0aaCEgI" +
    "2gMoZlMAINND1MJgZFCaZMTRoaBpoyNNGjIyZDspV/lJkHc5EHZ1YKfGiGEmBs458wKTKMWpBZFAgBU6SlkGkuxl29TGWAh0" +
    "HJgyJ+RAUzEB+eQ0QYpSmtTRQGkWxvhMpapLDaB0Ibu5YD1RAihzVpL6NJtcUxDK9bUWLD7Ws4UKMaJ8CIiaityQXgG/AuuM" +
    "18+m+8w4F/apQPqJcrV95aziNrwwDQ+hIeoQOY2kgSgRYux6Q0H/ISkKx9i7kinChIUVvRZ4",
);

/** Nothing, by `bzip2`. */
export const EMPTY_BZ2 = bytes("QlpoORdyRThQkAAAAAA=");
