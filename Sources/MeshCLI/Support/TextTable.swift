/// Aligned columns of text: two spaces between columns, no trailing spaces, `-` for an empty cell.
package struct TextTable: Sendable {
  package enum Alignment: Sendable {
    case left, right
  }

  package struct Column: Sendable {
    package var title: String
    package var alignment: Alignment

    package init(_ title: String, _ alignment: Alignment = .left) {
      self.title = title
      self.alignment = alignment
    }
  }

  package var columns: [Column]
  package var rows: [[String]] = []

  package init(_ columns: [Column]) { self.columns = columns }

  package mutating func add(_ cells: String...) { rows.append(cells) }

  package func render(indent: String = "") -> String {
    let lines = ([columns.map(\.title)] + rows).map { cells in
      columns.indices.map { $0 < cells.count && !cells[$0].isEmpty ? Self.printable(cells[$0]) : "-" }
    }
    let widths = columns.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { cells in
      var line = indent
      for (column, cell) in cells.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        if column > 0 { line += "  " }
        line += columns[column].alignment == .right ? padding + cell : cell + padding
      }
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }

  /// A cell never breaks the table or drives the terminal: control characters become spaces.
  private static func printable(_ cell: String) -> String {
    String(cell.map { $0.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F } ? " " : $0 })
  }
}
