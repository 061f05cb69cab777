/** The words of table definitions that differ between databases. */
export interface Ddl {
  text: string;
  int: string;
  /** What follows a table's closing bracket. */
  table: string;
}
