# What a block costs, by way of doing it: dir/cost.dat to dir/cost.svg.
set terminal svg size 760,300 font 'sans-serif,14' background 'white'
set output dir.'/cost.svg'
set title 'What a block of one contact costs, one client over a local socket'
set xlabel 'µs a call (less is better)'
set xrange [0:*]
set yrange [3.6:-0.6]
set offsets 0, graph 0.12, 0, 0
set grid xtics linecolor 'gray90'
set border 3
set tics nomirror
set ytics scale 0 noenhanced
set style fill solid 1 noborder
set key off
color(n) = n == 1 ? 0x1f4e9c : 0xa9b8cf
plot dir.'/cost.dat' using ($2/2):0:($2/2):(0.32):(color($0)):ytic(1) with boxxyerror linecolor rgb variable, \
     '' using 2:0:(sprintf('  %.0f', $2)) with labels left
