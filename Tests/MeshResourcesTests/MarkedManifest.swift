/// A manifest with a mistake at the place of the mark `§`.
struct MarkedManifest {
  /// Without the mark.
  let text: String
  /// As problems tell it: `f.yaml:LINE:COLUMN`.
  let place: String

  init(_ marked: String) {
    let before = marked.prefix { $0 != "§" }
    let line = before.count { $0 == "\n" } + 1
    let column = before.reversed().prefix { $0 != "\n" }.count + 1
    text = marked.replacing("§", with: "")
    place = "f.yaml:\(line):\(column)"
  }
}
