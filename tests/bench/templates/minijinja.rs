// bench FOLDER NAME...: microseconds for compiling and rendering, and for rendering again, as templates.py reads them.
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{context, Environment};
use std::time::{Duration, Instant};

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.add_function("config", |_: Kwargs| "");
    env.add_function("ref", |a: Rest<String>| format!("\"db\".\"sch\".\"{}\"", a.last().unwrap()));
    env.add_function("source", |a: String, b: String| format!("\"db\".\"{}\".\"{}\"", a, b));
    env.add_function("var", |name: String| match &name[..] {
        "lookback_days" => Value::from(3),
        "start_date" => Value::from("2024-01-01"),
        _ => Value::from(()),
    });
    env.add_function("is_incremental", || true);
    env
}

fn micros(mut f: impl FnMut()) -> f64 {
    f();
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(150) {
        f();
        rounds += 1;
    }
    start.elapsed().as_secs_f64() * 1e6 / rounds as f64
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let target = context! { name => "dev", schema => "sch" };
    let ctx = context! { this => "\"db\".\"sch\".\"this\"", invocation_id => "abc", target => target };
    let env = environment();
    for name in &args[2..] {
        let text = std::fs::read_to_string(format!("{}/{}.sql", args[1], name)).unwrap();
        let cold = micros(|| {
            env.render_str(&text, &ctx).unwrap();
        });
        let template = env.template_from_str(&text).unwrap();
        let again = micros(|| {
            template.render(&ctx).unwrap();
        });
        let out = template.render(&ctx).unwrap();
        println!("{}\t{}\t{}\t{}", name, cold, again, out.replace('\\', "\\\\").replace('\n', "\\n"));
    }
}
