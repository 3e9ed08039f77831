import { field, section } from "../config_field.ts";
import { byteSize, choice, count, duration, nullable, ratio, text } from "../value_kind.ts";

/** `access_log`: a line for each request. */
export const accessLogSection = section({
  output: field(choice("off", "stdout", "file"), {
    default: "off",
    effect: "reload",
    about: "Where a line for each request goes",
  }),
  path: field(text, {
    default: "access.log",
    effect: "reload",
    about: "The file, for `output: file`; opened again on SIGHUP",
  }),
  format: field(choice("json", "logfmt", "combined"), {
    default: "json",
    effect: "reload",
    about: "Form of its lines; `combined` is nginx's form with reason, time and project behind",
  }),
  sample: field(ratio, {
    default: 1,
    effect: "reload",
    about: "Share of requests with a status below 400 that are logged; all others always are",
  }),
  max_size: field(byteSize(2 * 1024 ** 2), {
    default: "100MiB",
    effect: "reload",
    about: "Size at which the file is rotated",
  }),
  max_age: field(nullable(duration({ unit: "s", minMs: 1000 })), {
    default: "1d",
    effect: "reload",
    about: "Age at which the file is rotated; null for never",
  }),
  keep: field(count(0, 1000), {
    default: 7,
    effect: "reload",
    about: "Rotated files that are kept",
  }),
  buffer: field(byteSize(64 * 1024), {
    default: "1MiB",
    effect: "restart",
    because: "memory shared by the lanes is laid out at the start",
    about: "Memory per lane for lines on their way to the writer; lines beyond are dropped and counted",
  }),
});
