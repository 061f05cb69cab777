/** Numbers inside a column of JSON text: how they are read differs between databases. */

/** SQL for a whole number of a JSON object; 0 where there is none: the column is null or no JSON, the field missing or something else. */
export function jsonCount(column: string, field: string): string {
  return `case when ${typeOf(column, field)} = 'integer' then ${column} ->> '$.${field}' else 0 end`;
}

/** As jsonCount, with null instead of 0. */
export function jsonCountOrNull(column: string, field: string): string {
  return `case when ${typeOf(column, field)} = 'integer' then ${column} ->> '$.${field}' end`;
}

/** SQL for text of a JSON object; null where there is none. */
export function jsonTextOrNull(column: string, field: string): string {
  return `case when ${typeOf(column, field)} = 'text' then ${column} ->> '$.${field}' end`;
}

/** SQL for 1 where the field is true, else 0. */
export function jsonFlag(column: string, field: string): string {
  return `case when ${typeOf(column, field)} = 'true' then 1 else 0 end`;
}

/** Text that is no JSON would end the whole statement. */
function typeOf(column: string, field: string): string {
  return `case when json_valid(${column}) then json_type(${column}, '$.${field}') end`;
}
