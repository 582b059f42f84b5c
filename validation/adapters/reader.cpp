// A reader of the vectors, and a candidate, in C++17 without libraries: c++ -std=c++17 -O2 reader.cpp -o reader
//
//   ./reader ../../data/vectors/poisson1d.json    reads it and poisson1d.safetensors, computes R, J, K and traces anew, prints the worst errors
//   refntk check --problem poisson1d -- ./reader  answers questions line by line
//
// It knows the problem poisson1d with tanh. u, u_x, u_xx travel through the network; J comes from dual numbers.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
using std::string, std::vector, std::map;

struct Json {  // null, number, string, array or object; numbers as they stand
  string text;
  vector<Json> items;
  map<string, Json> members;
  vector<double> large;  // from the file beside
  bool is(char c) const { return text.size() == 1 && text[0] == c; }  // '[' or '{'
  const Json& operator[](const string& name) const { return members.at(name); }
  bool has(const string& name) const { return members.count(name) > 0; }
  double number() const { return std::strtod(text.c_str(), nullptr); }  // decimal or hexadecimal, exact
  vector<double> numbers() const {  // nested lists, row by row; or {"shape", "value"} of a file
    if (!large.empty()) return large;
    if (is('{')) return (*this)["value"].numbers();
    if (!is('[')) return {number()};
    vector<double> found;
    for (auto& item : items) for (double x : item.numbers()) found.push_back(x);
    return found;
  }
};

struct Parser {
  const string& s; size_t at = 0;
  char next() { while (at < s.size() && std::isspace((unsigned char)s[at])) at++; if (at >= s.size()) throw std::runtime_error("cut off"); return s[at]; }
  string quoted() {
    string found;
    for (at++; at < s.size() && s[at] != '"'; at++) { if (s[at] == '\\') at++; if (at < s.size()) found += s[at]; }
    at++;
    return found;
  }
  Json value() {
    Json found;
    char c = next();
    if (c == '"') { found.text = quoted(); return found; }
    if (c == '[' || c == '{') {
      found.text = c; at++;
      char end = c == '[' ? ']' : '}';
      while (next() != end) {
        if (s[at] == ',') { at++; next(); }
        if (c == '[') found.items.push_back(value());
        else { string name = quoted(); next(); at++; found.members[name] = value(); }
      }
      at++;
      return found;
    }
    while (at < s.size() && !std::strchr(",]} \n\r\t", s[at])) found.text += s[at++];
    return found;
  }
};

string contents(const string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("no file " + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

map<string, vector<double>> tensors(const string& all) {  // of a safetensors file: length, header, numbers (here as the machine has them)
  uint64_t length = 0;
  if (all.size() < 8) throw std::runtime_error("cut off");
  std::memcpy(&length, all.data(), 8);
  const string header = all.substr(8, length), data = all.substr(8 + header.size());
  const Json names = Parser{header}.value();
  map<string, vector<double>> found;
  for (auto& [name, entry] : names.members) {
    auto offsets = entry["data_offsets"].numbers();
    size_t begin = offsets.at(0), end = offsets.at(1);
    if (end < begin || end > data.size()) throw std::runtime_error(name + " is cut off");
    found[name].resize((end - begin) / 8);
    std::memcpy(found[name].data(), data.data() + begin, (end - begin) / 8 * 8);
  }
  return found;
}

void fill(Json& at, const map<string, vector<double>>& beside) {  // what lies beside, where its name stands
  if (at.has("safetensors")) {
    string name = at["safetensors"].text;
    if (beside.count(name)) at.members["value"].large = beside.at(name);
    else for (string part : {"mid", "lower", "upper", "scale"}) at.members[part].large = beside.at(name + "/" + part);
  }
  for (auto& item : at.items) fill(item, beside);
  for (auto& [name, member] : at.members) fill(member, beside);
}

struct Dual { double v = 0; vector<double> d; };  // a number and its derivatives by θ; none where it is constant
static vector<double> combine(const vector<double>& a, double x, const vector<double>& b, double y) {
  vector<double> found(std::max(a.size(), b.size()));
  for (size_t i = 0; i < a.size(); i++) found[i] += x * a[i];
  for (size_t i = 0; i < b.size(); i++) found[i] += y * b[i];
  return found;
}
Dual operator+(const Dual& a, const Dual& b) { return {a.v + b.v, combine(a.d, 1, b.d, 1)}; }
Dual operator*(const Dual& a, const Dual& b) { return {a.v * b.v, combine(a.d, b.v, b.d, a.v)}; }
Dual operator*(double c, const Dual& a) { return {c * a.v, combine(a.d, c, {}, 0)}; }
Dual tanh(const Dual& a) { double t = std::tanh(a.v); return {t, combine(a.d, (1 - t) * (1 + t), {}, 0)}; }

struct Jet { Dual u, x, xx; };  // a function, its first and its second derivative
struct Network { vector<int> sizes; vector<double> factors, shift, scale; };

Jet evaluate(const Network& net, const vector<double>& theta, double point) {
  size_t at = 0, p = theta.size();
  auto parameter = [&](size_t i) { Dual found{theta[i], vector<double>(p)}; found.d[i] = 1; return found; };
  vector<Jet> a{{{(point - net.shift[0]) / net.scale[0], {}}, {1 / net.scale[0], {}}, {0, {}}}};
  for (size_t l = 0; l + 1 < net.sizes.size(); l++) {
    int m = net.sizes[l], n = net.sizes[l + 1];
    vector<Jet> z(n);
    for (int j = 0; j < n; j++) {
      for (int i = 0; i < m; i++) {  // W is (in, out), row by row
        Dual w = net.factors[l] * parameter(at + i * n + j);
        z[j] = {z[j].u + w * a[i].u, z[j].x + w * a[i].x, z[j].xx + w * a[i].xx};
      }
      z[j].u = z[j].u + parameter(at + m * n + j);
      if (l + 2 < net.sizes.size()) {
        Dual t = tanh(z[j].u), first = Dual{1, {}} + -1.0 * (t * t), second = -2.0 * (t * first);
        z[j] = {t, first * z[j].x, second * (z[j].x * z[j].x) + first * z[j].xx};
      }
    }
    at += m * n + n;
    a = z;
  }
  return a[0];
}

map<string, vector<double>> quantities(const Json& given, double frequency) {
  const Json& described = given["network"];
  Network net;
  for (double n : described["sizes"].numbers()) net.sizes.push_back((int)n);
  net.factors = described["factors"].numbers(); net.shift = described["shift"].numbers(); net.scale = described["scale"].numbers();
  auto theta = given["theta"].numbers();
  double k = frequency * std::acos(-1.0);
  vector<Dual> rows;
  vector<size_t> ends;
  for (string term : {"interior", "boundary"}) {
    auto points = given["points"][term].numbers();
    for (double x : points) {
      Jet u = evaluate(net, theta, x);
      Dual r = term == "interior" ? u.xx + Dual{k * k * std::sin(k * x), {}} : u.u;
      string scaling = given["scaling"].text;
      rows.push_back((scaling == "mean" ? 1 / std::sqrt((double)points.size()) : 1.0) * r);
    }
    ends.push_back(rows.size());
  }
  if (given["scaling"].text == "quadrature") {
    size_t i = 0;
    for (string term : {"interior", "boundary"}) for (double w : given["quadrature"][term].numbers()) { rows[i] = std::sqrt(w) * rows[i]; i++; }
  }
  map<string, vector<double>> found;
  for (auto& row : rows) { found["residual"].push_back(row.v); for (double d : row.d) found["jacobian"].push_back(d); }
  for (auto& a : rows) for (auto& b : rows) { double sum = 0; for (size_t i = 0; i < theta.size(); i++) sum += a.d[i] * b.d[i]; found["ntk"].push_back(sum); }
  for (size_t t = 0, i = 0; t < ends.size(); t++) { double sum = 0; for (; i < ends[t]; i++) sum += found["ntk"][i * rows.size() + i]; found["traces"].push_back(sum); }
  return found;
}

void print(const vector<double>& x, size_t columns) {  // 17 digits: exact
  for (size_t i = 0; i < x.size(); i++) std::printf("%s%s%.17g%s", i ? "," : "[", columns && i % columns == 0 ? "[" : "", x[i], columns && (i + 1) % columns == 0 ? "]" : "");
  std::printf("]");
}

int answer() {
  for (string line; std::getline(std::cin, line);) {
    Json asked = Parser{line}.value();
    std::printf("{\"id\": \"%s\", \"results\": {", asked["id"].text.c_str());
    if (asked["problem"].text == "poisson1d" && asked["network"]["activation"].text == "tanh") {
      auto found = quantities(asked, asked["parameters"]["frequency"].number());
      size_t n = found["residual"].size(), p = found["jacobian"].size() / n;
      const char* comma = "";
      for (auto& [name, value] : found) {
        std::printf("%s\"%s\": ", comma, name.c_str());
        print(value, name == "ntk" ? n : name == "jacobian" ? p : 0);
        comma = ", ";
      }
    }
    std::printf("}}\n");
    std::fflush(stdout);
  }
  return 0;
}

int judge(const string& path) {
  const string text = contents(path);
  Json document = Parser{text}.value();
  fill(document, tensors(contents(path.substr(0, path.rfind('.')) + ".safetensors")));
  map<string, double> worst;
  int cases = 0;
  for (auto& group : document["groups"].items) for (auto& test : group["tests"].items) {
    const Json& given = test["given"];
    if (given["network"]["activation"].text != "tanh") continue;
    bool saturated = false;
    for (auto& flag : test["flags"].items) saturated |= flag.text == "Saturation";
    if (saturated) continue;
    cases++;
    for (auto& [name, got] : quantities(given, group["parameters"]["frequency"].number())) {
      if (!test["want"].has(name)) continue;
      const Json& want = test["want"][name];
      auto mid = want["mid"].numbers(), scale = want["scale"].numbers();
      for (size_t i = 0; i < mid.size(); i++) if (got[i] != mid[i]) worst[name] = std::max(worst[name], std::abs(got[i] - mid[i]) / scale[i] * 0x1p53);
    }
  }
  std::printf("cases %d\n", cases);
  for (auto& [name, error] : worst) std::printf("%s %.3f\n", name.c_str(), error);
  return 0;
}

int main(int count, char** words) {
  try { return count > 1 ? judge(words[1]) : answer(); }
  catch (const std::exception& error) { std::fprintf(stderr, "reader: %s\n", error.what()); return 1; }
}
